"""Which ratings and which raters are set aside, rule by rule, and how many chance alone would set aside."""
