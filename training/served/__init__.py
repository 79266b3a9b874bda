"""Agents behind any OpenAI-compatible server: a vision-language model perceives, reasons and evaluates.

Boxes, findings and scores are asked for by a strict schema and validated again. A refusal, an answer that does not fit,
or none is a status, and never an invented result. Replies are kept in a folder, so nothing is paid for twice.
"""
