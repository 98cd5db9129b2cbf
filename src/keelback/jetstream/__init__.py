"""JetStream: what requests of its API mean. So far the policy of streams; nothing is stored yet."""
