"""Diagnosis of edited images: two maps, their regions, a finding for each, and three scores; nothing is edited."""
