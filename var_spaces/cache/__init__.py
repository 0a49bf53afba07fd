"""The KV cache of a run and the policies that decide what it keeps."""
