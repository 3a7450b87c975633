"""The index in Redis: one hash a key, one function a verb (``proxy_pool/lua``)."""
