"""What an attacker would try, and what comes of it; docs/security.md names these tests."""
