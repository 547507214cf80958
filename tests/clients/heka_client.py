# -*- coding: utf-8 -*-
"""Sends every kind of message that heka-py knows.

heka_client.py udp|tcp HOST PORT [SHA1|MD5 SIGNER KEY_VERSION KEY]
"""
import datetime
import logging
import sys

from driver import greet, wait_for_end

STREAMS = {'udp': 'heka.streams.UdpStream', 'tcp': 'heka.streams.TcpStream'}


def client_of(transport, host, port, *signature):
    from heka.config import client_from_dict_config
    config = {'logger': 'myapp', 'stream': {'class': STREAMS[transport], 'host': host, 'port': int(port)}}
    if signature:
        hash_function, signer, key_version, key = signature
        config['hmac'] = {
            'hash_function': hash_function, 'signer': signer, 'key_version': int(key_version), 'key': key}
    return client_from_dict_config(config)


def send_all(client):
    client.heka('custom', logger='other', severity=5, payload=u'caf\xe9 \u2603 \x00 end', fields={
        'int': -1, 'float': 1.5, 'bool': True, 'text': u'\xfc', 'nested': {'deep': {'er': 'x'}}},
        timestamp=1351534282.5)
    client.heka('bare')
    client.incr('hits', count=3)
    client.incr('hits', logger='web', severity=2, fields={'host': 'a1'})
    client.timer_send('query', 250, rate=0.5)
    with client.timer('block', fields={'a': 1}):
        pass

    @client.timer('decorated')
    def timed():
        pass
    timed()
    client.heka('large', payload='x' * 9000)
    client.debug('debug %s', 'one')
    client.info('info %(key)s', {'key': 'two'})
    client.warn('warn')
    client.error('error')
    client.critical('critical')
    try:
        raise ValueError('went wrong')
    except ValueError:
        client.exception('it')
    from heka.logging import hook_logger
    hook_logger('app', client)
    logging.getLogger('app').warning('not %s formatted', 'yet')


def main(*arguments):
    client = client_of(*arguments)
    greet(lambda number: client.heka('greeting', payload=str(number)))
    send_all(client)
    wait_for_end()


main(*sys.argv[1:])
