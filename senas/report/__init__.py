"""What people look at: tables, pictures and progress."""
