"""Telephones brought into rooms by a SIP trunk to LiveKit's SIP service."""
