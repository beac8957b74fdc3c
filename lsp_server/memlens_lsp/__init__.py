"""The language server of memlens: what tests do with memory, beside the code.

Reads results, never measures: it runs where neither pytest nor memray is installed.
"""
