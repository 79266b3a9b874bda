"""The raw side: the corpus, what people said about it, and the campaign in which they said it."""
