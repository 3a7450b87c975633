"""The edge and the wiring: HTTP faces, webhooks, storage, embedded servers, the command line."""
