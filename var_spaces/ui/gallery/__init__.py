"""Pictures that the page shows before anybody has drawn one; ``draw.py`` makes them."""
