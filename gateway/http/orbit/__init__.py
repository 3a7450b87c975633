"""The Orbit face: voice, numbers, webhooks and keys under ``/api/v1``."""
