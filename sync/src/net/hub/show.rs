//! The status, made of what the hub knows.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;

use super::{FADE, Hub, SHOW, SHOW_SOON, SOON};
use crate::core::Policy;
use crate::net::status::{Link, PeerStatus, Status};

impl Hub {
    /// Shows how things are, if they changed, and not too often.
    pub(super) fn show(&mut self) {
        let Some(pause) = self.show_after() else { return };
        if self.shown_at.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        self.is_dirty = false;
        let at = Instant::now();
        self.shown_at = Some(at);
        if at.duration_since(self.shown.0) >= Duration::from_secs(1) {
            self.shown = (at, 0);
        }
        self.shown.1 += 1;
        let now = self.now();
        let me = *self.swarm.local_peer_id();
        let mut known: BTreeMap<[u8; 32], (u64, u64)> = BTreeMap::new();
        let mut keeps: BTreeMap<[u8; 32], bool> = BTreeMap::new();
        for peer in self.node.peers() {
            keeps.extend(
                peer.policy
                    .map(|policy| (peer.peer, policy == Policy::Everything)),
            );
            // Of several sessions the one that knows most.
            let entry = known.entry(peer.peer).or_insert((peer.behind, peer.ahead));
            *entry = (entry.0.min(peer.behind), entry.1.max(peer.ahead));
        }
        let mut peers = Vec::new();
        for (id, member) in &self.members {
            let (behind, ahead) = known.get(&member.device.0).copied().unwrap_or_default();
            peers.push(PeerStatus {
                device: member.device,
                name: member.name.clone(),
                addresses: self.book.addresses(id).iter().map(ToString::to_string).collect(),
                link: self.link(id),
                keeps_everything: keeps.get(&member.device.0).copied(),
                behind,
                ahead,
                last_error: self.errors.get(&member.device).cloned(),
            });
        }
        peers.sort_by(|a, b| (&a.name, a.device).cmp(&(&b.name, b.device)));
        let whole = |address: &libp2p::Multiaddr| match crate::net::peers::target(address) {
            Some(_) => address.to_string(),
            None => address.clone().with(Protocol::P2p(me)).to_string(),
        };
        let progress = self.node.progress(now);
        self.is_fading = progress.rate != (0, 0);
        self.board.set(Status {
            version: 0,
            peers,
            progress,
            paused: self.is_paused,
            listening: self.swarm.listeners().map(whole).collect(),
            confirmed: self.swarm.external_addresses().map(whole).collect(),
            relays: self.reserved(),
            last_error: self.last_error.clone(),
            refused: self.door.refused(),
            ended: false,
        });
    }

    /// How long after it was shown the status is to be shown anew; none if it would be the same.
    pub(super) fn show_after(&self) -> Option<Duration> {
        match (self.is_dirty, self.is_fading) {
            (true, _) if self.shown.1 < SOON || self.shown.0.elapsed() > Duration::from_secs(1) => {
                Some(SHOW_SOON)
            }
            (true, _) => Some(SHOW),
            (false, true) => Some(FADE),
            (false, false) => None,
        }
    }

    fn link(&self, peer: &libp2p::PeerId) -> Option<Link> {
        let all = || {
            self.connections
                .values()
                .filter(|connection| connection.peer == *peer && connection.session.is_some())
        };
        let best =
            all().min_by_key(|connection| (connection.until.is_some(), connection.relayed, connection.at))?;
        let line = best
            .session
            .and_then(|session| self.sessions.get(&session)?.line.as_ref());
        let (came, went) = line.map_or((0, 0), |line| {
            (line.meter.came.load(Relaxed), line.meter.went.load(Relaxed))
        });
        Some(Link {
            address: best.address.to_string(),
            relayed: best.relayed,
            since: best.since,
            came,
            went,
            connections: all().count(),
        })
    }
}
