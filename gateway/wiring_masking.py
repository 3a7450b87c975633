"""Number masking, put together: the index, the ledger, the service and what they stand on."""
