"""The least that is a language server with pygls: what the others are measured against."""

from pygls.lsp.server import LanguageServer

LanguageServer("bare", "1").start_io()
