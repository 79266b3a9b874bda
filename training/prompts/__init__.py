"""What a vision-language model is asked, whoever runs it: versioned texts, and the one place that joins them.

Served agents, agents from checkpoints, training and rollouts all take their messages from here, so that a model is
asked in the words that it was trained with.
"""
