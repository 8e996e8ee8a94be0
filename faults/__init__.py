"""What happens between B3 and SQL when something fails: each fault injected, and what was lost or wrong afterwards."""
