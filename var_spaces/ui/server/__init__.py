"""What stands between the network and the page: who may ask for what, how much of it, how often."""
