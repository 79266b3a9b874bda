"""The status of a campaign: progress, pace and agreement of each participant, who is stuck, and the estimated end."""
