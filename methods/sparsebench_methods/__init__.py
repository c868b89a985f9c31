"""The methods that come with sparsebench, written as anyone's plugin would be."""
