"""The dataset card: `page` writes README.md, `metadata` its front matter and croissant.json, `scoring` describes
the scoring method."""
