"""What is trained, one file each: network, data, loss, evaluation."""
