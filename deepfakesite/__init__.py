"""The site: settings, addresses, the pages that belong to no other application, and what runs it."""
