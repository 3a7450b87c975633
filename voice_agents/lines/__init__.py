"""The lines to agents: outbound sockets that never let anybody wait."""
