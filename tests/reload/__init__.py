"""What a reload makes of each option: one table, played against nats-server and against ours."""
