"""What stands in prompts for content and style that were learned from a picture."""

CONTENT, STYLE = "<content>", "<style>"
