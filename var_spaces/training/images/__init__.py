"""Pictures that go into a training and that come out of it."""
