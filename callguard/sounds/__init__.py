"""The prompts: their texts (texts.toml), the recordings made from them, and what makes these (make.py)."""
