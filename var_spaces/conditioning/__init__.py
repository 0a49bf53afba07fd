"""What a run is asked to show, as features: text encoders and prompts."""
