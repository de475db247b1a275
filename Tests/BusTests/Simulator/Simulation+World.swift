// SPDX-License-Identifier: Apache-2.0

@testable import MartletBus
@testable import MartletWire

/// What the sockets, the handlers and the hostile world do.
extension Simulation {
    func perform(_ what: Happening) {
        switch what {
        case .submit: submit()
        case .cancel(let call): step(.cancel(call))
        case .connected(let link):
            guard connections[link]?.isAlive == true else { return }
            step(.connected(link))
        case .toServer(let link, let frame): arriveAtServer(link, frame)
        case .toClient(let link, let frame):
            guard connections[link]?.isAlive == true else { return }
            arriveAtClient(link, frame)
        case .broken(let link, let isClientSide):
            guard let connection = connections[link] else { return }
            if isClientSide {
                step(.lost(link, .disconnected))
            } else if isCurrent(connection) {
                serve(connection.replica, .lost(peer(link), .disconnected))
            }
        case .finish(let replica, let incarnation, let request):
            guard replicas[replica].isUp, replicas[replica].incarnation == incarnation else { return }
            if replicas[replica].pausedUntil > now { return at(replicas[replica].pausedUntil, what) }
            let sizes = [0, 500, 1_001, 7_000, 15_000]
            serve(replica, .finished(request, bytes: sizes[Int(random.next(below: UInt64(sizes.count)))]))
        case .crash(let replica):
            replicas[replica].isUp = false
            breakAll(of: replica)
        case .restart(let replica):
            breakAll(of: replica)
            replicas[replica].machine = ServerMachine(handled: Self.handled, limits: limits)
            replicas[replica].incarnation += 1
            replicas[replica].isUp = true
            replicas[replica].pausedUntil = 0
        case .pause(let replica): replicas[replica].pausedUntil = now + below(4_000 * Self.millisecond)
        case .cut:
            let living = connections.filter(\.value.isAlive).keys.sorted { $0.rawValue < $1.rawValue }
            guard !living.isEmpty else { return }
            breakLink(living[Int(random.next(below: UInt64(living.count)))])
        case .drain(let replica):
            if replicas[replica].isUp { serve(replica, .drain) }
        }
    }

    private func peer(_ link: LinkID) -> PeerID { PeerID(listener: 0, routing: UInt32(link.rawValue)) }

    private func isCurrent(_ connection: Connection) -> Bool {
        replicas[connection.replica].isUp && replicas[connection.replica].incarnation == connection.incarnation
    }

    private func breakAll(of replica: Int) {
        for link in connections.keys.sorted(by: { $0.rawValue < $1.rawValue })
        where connections[link]?.replica == replica && connections[link]?.isAlive == true { breakLink(link) }
    }

    private func breakLink(_ link: LinkID) {
        connections[link]?.isAlive = false
        at(now + below(Self.delayMax), .broken(link, isClientSide: true))
        at(now + below(Self.delayMax), .broken(link, isClientSide: false))
    }

    // MARK: Caller

    func step(_ event: TargetMachine.Event, frameBytes: Int = 0) {
        var actions: [TargetMachine.Action] = []
        client.step(event, now: BusTime(nanoseconds: now), actions: &actions)
        for action in actions { perform(action, frameBytes) }
    }

    private func perform(_ action: TargetMachine.Action, _ frameBytes: Int) {
        switch action {
        case .open(let link, let endpoint):
            let replica = Int(endpoint.dropFirst()) ?? 0
            var connection = Connection(replica: replica, incarnation: replicas[replica].incarnation)
            connection.isAlive = replicas[replica].isUp
            connections[link] = connection
            if connection.isAlive {
                at(now + below(Self.delayMax), .connected(link))
            } else {
                at(now + below(Self.delayMax), .broken(link, isClientSide: true))
            }
        case .close(let link):
            if connections[link]?.isAlive == true {
                connections[link]?.isAlive = false
                at(now + below(Self.delayMax), .broken(link, isClientSide: false))
            }
        case .sendHello(let link): toServer(link, .hello)
        case .sendPing(let link): toServer(link, .ping)
        case .sendCancel(let link, let call): toServer(link, .cancel(call.rawValue))
        case .sendCredit(let link, let call, let bytes): toServer(link, .credit(call.rawValue, bytes: bytes))
        case .sendRequest(let link, let call, _, let budget, let bytes, let hasMore):
            let method = records[call]?.isRepeatable == true ? MethodRegistry.httpRead : MethodRegistry.httpWrite
            toServer(
                link,
                .request(
                    call.rawValue,
                    RequestFacts(methodID: method.id, budgetMicroseconds: budget, bytes: bytes, hasMore: hasMore)))
        case .sendChunk(let link, let call, _, let bytes, let isLast):
            toServer(link, .requestChunk(call.rawValue, bytes: bytes, isLast: isLast))
        case .keep(let call): records[call]?.replyBytes += frameBytes
        case .forget(let call): records[call]?.replyBytes = 0
        case .deliver(let call):
            records[call]?.outcomes += 1
            guard let record = records[call] else { return }
            expect(now <= record.deadline, "call \(call.rawValue) answered after its deadline")
        case .fail(let call, _, let executed, _):
            records[call]?.outcomes += 1
            guard let record = records[call] else { return }
            expect(now <= record.deadline, "call \(call.rawValue) failed after its deadline")
            expect(executed != .no || record.starts == 0, "call \(call.rawValue) was executed, not `no`")
        case .observe: break
        }
    }

    private func toServer(_ link: LinkID, _ frame: Frame) {
        guard var connection = connections[link], connection.isAlive else { return }
        connection.lastToServer = max(connection.lastToServer, now + below(Self.delayMax))
        connections[link] = connection
        at(connection.lastToServer, .toServer(link, frame))
    }

    private func arriveAtClient(_ link: LinkID, _ frame: Frame) {
        switch frame {
        case .ready:
            step(
                .introduced(
                    link,
                    ReplicaGrant(
                        requestsMax: limits.requestsMax, bytesMax: limits.bytesMax, bodyBytesMax: limits.bodyBytesMax)))
        case .pong(let isDraining): step(.pong(link, isDraining: isDraining))
        case .goAway(let isFinal): step(isFinal ? .lost(link, .closed) : .goAway(link))
        case .reply(let id, let facts): step(.reply(link, CallID(rawValue: id), facts), frameBytes: facts.bytes)
        case .replyChunk(let id, let bytes, let isLast, let isAborted):
            step(
                .chunk(link, CallID(rawValue: id), bytes: bytes, isLast: isLast, isAborted: isAborted),
                frameBytes: bytes)
        case .credit(let id, let bytes): step(.credit(link, CallID(rawValue: id), bytes: bytes))
        case .hello, .ping, .cancel, .request, .requestChunk: expect(false, "a frame for servers at the caller")
        }
    }

    // MARK: Replicas

    private func arriveAtServer(_ link: LinkID, _ frame: Frame) {
        guard let connection = connections[link], isCurrent(connection) else { return }
        let replica = replicas[connection.replica]
        // What was sent before the link broke may still arrive.
        if replica.pausedUntil > now { return at(replica.pausedUntil, .toServer(link, frame)) }
        let from = peer(link)
        switch frame {
        case .hello: serve(connection.replica, .hello(from, .edge))
        case .ping: serve(connection.replica, .ping(from))
        case .cancel(let id): serve(connection.replica, .cancel(from, CallID(rawValue: id)))
        case .request(let id, let facts):
            serve(connection.replica, .request(from, CallID(rawValue: id), facts))
        case .requestChunk(let id, let bytes, let isLast):
            serve(connection.replica, .chunk(from, CallID(rawValue: id), bytes: bytes, isLast: isLast, isAborted: false))
        case .credit(let id, let bytes):
            serve(connection.replica, .credit(from, CallID(rawValue: id), bytes: bytes))
        case .ready, .pong, .goAway, .reply, .replyChunk: expect(false, "a frame for callers at the server")
        }
    }

    func serve(_ replica: Int, _ event: ServerMachine.Event) {
        var actions: [ServerMachine.Action] = []
        replicas[replica].machine.step(event, now: BusTime(nanoseconds: now), actions: &actions)
        for action in actions { perform(action, of: replica) }
    }

    private func perform(_ action: ServerMachine.Action, of replica: Int) {
        switch action {
        case .sendReady(let peer): toClient(peer, .ready)
        case .sendPong(let peer, let isDraining, _): toClient(peer, .pong(isDraining: isDraining))
        case .sendGoAway(let peer, let isFinal): toClient(peer, .goAway(isFinal: isFinal))
        case .sendCredit(let request, let bytes): toClient(request.peer, .credit(request.id.rawValue, bytes: bytes))
        case .refuse(let peer, let id, let code, let retryAfter):
            toClient(
                peer,
                .reply(
                    id.rawValue,
                    ReplyFacts(
                        code: code, executed: .no, retryAfterMilliseconds: retryAfter, bytes: 0, hasMore: false)))
        case .start(let request):
            let call = request.id
            let id = call.rawValue
            records[call]?.starts += 1
            guard let record = records[call] else { return }
            expect(record.isRepeatable || record.starts == 1, "call \(id) executed \(record.starts) times")
            expect(
                now <= record.deadline + 3 * Self.delayMax + 4_000 * Self.millisecond,
                "call \(id) started long after its deadline")
            at(
                now + below(800 * Self.millisecond),
                .finish(replica: replica, incarnation: replicas[replica].incarnation, request))
        case .sendReply(let request, let bytes, let hasMore):
            toClient(
                request.peer,
                .reply(
                    request.id.rawValue,
                    ReplyFacts(code: .ok, executed: .yes, retryAfterMilliseconds: 0, bytes: bytes, hasMore: hasMore)))
        case .sendChunk(let request, _, let bytes, let isLast):
            toClient(request.peer, .replyChunk(request.id.rawValue, bytes: bytes, isLast: isLast, isAborted: false))
        case .sendAbort(let request):
            toClient(request.peer, .replyChunk(request.id.rawValue, bytes: 0, isLast: true, isAborted: true))
        case .keep, .cancelTask, .observe: break
        }
    }

    private func toClient(_ peer: PeerID, _ frame: Frame) {
        let link = LinkID(rawValue: UInt64(peer.routing))
        guard var connection = connections[link], connection.isAlive else { return }
        connection.lastToClient = max(connection.lastToClient, now + below(Self.delayMax))
        connections[link] = connection
        at(connection.lastToClient, .toClient(link, frame))
    }
}
