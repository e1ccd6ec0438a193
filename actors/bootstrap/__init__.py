"""Where ports meet adapters: the only package that imports both."""
