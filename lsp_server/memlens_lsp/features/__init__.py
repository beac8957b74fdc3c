"""What the editor shows: pure functions from results and text to LSP types."""
