"""From records to what people look at: tables, figures, pages, contact sheets."""
