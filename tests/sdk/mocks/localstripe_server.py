"""Starts localstripe (payment intents, customers, subscriptions) on a free loopback port.

Its own start would listen on every interface and keep its state in a file under /tmp; this one does neither.
"""

from aiohttp import web
from launch import announce, loopback
from localstripe import server

server.store.dump_to_disk = lambda: None
sock = loopback()
announce("localstripe", sock)
web.run_app(server.app, sock=sock, print=None, access_log=None)
