"""What people read: one report a file, made from finished results."""
