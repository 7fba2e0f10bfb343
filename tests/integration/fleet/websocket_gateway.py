#!/usr/bin/env python3
"""A WebSocket server in front of an MQTT broker: Debian's Mosquitto has none of its own.

websocket_gateway.py PORT BROKER_PORT [CERTIFICATE KEY]. MQTT is at /mqtt, /private is forbidden.
"""
import asyncio
import http
import ssl
import sys

import websockets


async def serve(socket, broker):
    reader, writer = await asyncio.open_connection("127.0.0.1", broker)

    async def down():
        while data := await reader.read(40000):
            await socket.send(data)
        await socket.close()

    pump = asyncio.create_task(down())
    try:
        async for message in socket:
            if not isinstance(message, bytes) or socket.subprotocol != "mqtt":
                await socket.close(1003)
            writer.write(message)
            await writer.drain()
    except websockets.ConnectionClosed:
        pass
    pump.cancel()
    writer.close()


async def judge(path, _headers):
    if path == "/private":
        return http.HTTPStatus.FORBIDDEN, [], b""
    return None if path == "/mqtt" else (http.HTTPStatus.NOT_FOUND, [], b"")


async def main(port, broker, certificate=None, key=None):
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
    # Fragments and pings, as a server in the field may send them.
    async with websockets.serve(lambda socket: serve(socket, int(broker)), "127.0.0.1", int(port),
                                ssl=tls, subprotocols=["mqtt"], process_request=judge,
                                max_size=None, ping_interval=0.1):
        await asyncio.Future()


asyncio.run(main(*sys.argv[1:]))
