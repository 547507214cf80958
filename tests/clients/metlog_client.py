# -*- coding: utf-8 -*-
"""Sends every kind of message that metlog-py, metlog-cef and metlog-raven know.

metlog_client.py udp HOST PORT | zmq ENDPOINT | zmq_handshake HANDSHAKE_ENDPOINT ENDPOINT
"""
import logging
import sys

from driver import greet, wait_for_end


def sender_of(transport, arguments):
    if transport == 'udp':
        from metlog.senders.udp import UdpSender
        return UdpSender(arguments[0], int(arguments[1]))
    import zmq
    # The client was written for the libzmq that had this one option for both directions.
    zmq.HWM = zmq.SNDHWM
    from metlog.senders import zmq as senders
    if transport == 'zmq':
        return senders.ZmqPubSender(arguments[0])
    return senders.ZmqHandshakePubSender(arguments[0], arguments[1], handshake_timeout=5000)


def send_plain(client):
    client.metlog('custom', logger='other', severity=5, payload=u'caf\xe9 \u2603 "q" \\ \n \x00 end', fields={
        'int': 1, 'float': 1.5, 'bool': True, 'none': None, 'text': u'\xfc', 'list': [1, 2],
        'mixed': [1, 'a', None], 'nested': {'deep': {'er': 'x'}}, 'big': 2 ** 63 - 1, 'bigger': 2 ** 64})
    client.metlog('bare')
    client.incr('hits', count=3)
    client.incr('hits', logger='web', severity=2, fields={'host': 'a1'})
    client.timer_send('query', 250, rate=0.5)
    with client.timer('block', fields={'a': 1}):
        pass

    @client.timer('decorated')
    def timed():
        pass
    timed()
    client.metlog('procinfo', logger='psutil.cpu.a1.1', payload=0.25, fields={'name': 'user', 'rate': ''})
    client.metlog('procinfo', logger='psutil.io.a1.1', payload=4096, fields={'name': 'read_bytes', 'rate': 1})
    client.metlog('large', payload='x' * 9000)


def send_oldstyle(client):
    client.debug('debug %s', 'one')
    client.info('info %(key)s', {'key': 'two'})
    client.warn('warn')
    client.error('error')
    client.critical('critical')
    try:
        raise ValueError('went wrong')
    except ValueError:
        client.exception('it')
    from metlog.logging import hook_logger
    hook_logger('app', client)
    logging.getLogger('app').warning('not %s formatted', 'yet')


def send_cef(client):
    from metlog_cef.cef_plugin import config_plugin
    client.add_method(config_plugin({
        'syslog_options': 'PID,NDELAY', 'syslog_facility': 'LOCAL4', 'syslog_ident': 'svc'}))
    environ = {'REMOTE_ADDR': '127.0.0.1', 'HTTP_HOST': '127.0.0.1', 'PATH_INFO': '/', 'REQUEST_METHOD': 'GET',
               'HTTP_USER_AGENT': 'My Super Browser'}
    config = {'cef.version': '0', 'cef.vendor': 'mozilla', 'cef.device_version': '3', 'cef.product': 'weave'}
    client.cef('xx|x', 5, environ, config, username='me', ext1='ok=ok')


def send_sentry(client):
    from metlog_raven.raven_plugin import config_plugin
    client.add_method(config_plugin({'dsn': 'udp://user:secret@127.0.0.1:9000/2'}))

    def inner(number):
        raise ValueError(u'b\xe4d thing %d' % number)
    try:
        inner(42)
    except ValueError:
        client.raven('while testing', logger='errors')
    client.raven(payload='not packed')


def main(transport, *arguments):
    from metlog.client import MetlogClient
    client = MetlogClient(sender_of(transport, arguments), 'myapp')
    greet(lambda number: client.metlog('greeting', payload=str(number)))
    send_plain(client)
    send_oldstyle(client)
    send_cef(client)
    send_sentry(client)
    wait_for_end()


main(*sys.argv[1:])
