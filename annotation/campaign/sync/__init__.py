"""Synchronise a campaign with Label Studio: read submissions, create projects and tasks, wait for webhooks."""
