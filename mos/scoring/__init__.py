"""What all scoring methods share: options, estimates, means, intervals, results, the ledger, the summary."""
