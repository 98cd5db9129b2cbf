"""What one server shows of itself: documents for people, pollers and Prometheus, over HTTP.

Imported only when it is asked for: aiohttp alone takes longer to load than a server to start.
"""
