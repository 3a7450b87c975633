"""Webhooks: outbox, signing, back-off, delivery."""
