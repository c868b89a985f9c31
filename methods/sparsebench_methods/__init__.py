"""The built-in methods, which use only what any plugin may use."""
