"""What callguard tells of itself while it runs: log lines, metrics, health, and the pages that serve them."""
