"""What the fine-tuning of a subject needs beside its recipe."""
