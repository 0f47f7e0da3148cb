"""Message brokers that get events: RabbitMQ, NATS."""
