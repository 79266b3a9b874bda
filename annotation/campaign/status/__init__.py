"""How far a campaign is: who did how much, how fast, how well people agree, who is stuck, and when it ends."""
