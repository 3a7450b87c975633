"""Number masking: two people reach each other through proxy numbers that hide both real ones."""
