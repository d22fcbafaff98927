"""What may I set? Composing and checking a config, and how a mistake is reported."""
