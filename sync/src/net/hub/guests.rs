//! Invitations, and the guests who come with a ticket.

use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};
use tokio::sync::oneshot;

use super::{Hub, Inside};
use crate::net::clock::{seconds, wall};
use crate::net::door::Place;
use crate::net::error::InviteError;
use crate::net::inviting;
use crate::net::peers::{is_relayed, key_of};
use crate::pairing::{Inviting, PairError, TICKET_SECONDS, Ticket};

/// After the conversation's own patience has ended, its connection is closed in any case; in seconds.
const MORE: u64 = 5;
/// Addresses in a ticket: direct ones, and with circuits.
const HINTS: (usize, usize) = (6, 8);

impl Hub {
    /// Opens an invitation, for so many seconds at most.
    pub(super) fn invite(&mut self, most: u64, answer: oneshot::Sender<Result<Ticket, InviteError>>) {
        let life = most.min(TICKET_SECONDS);
        let now = wall();
        let ticket = Ticket::new(now).ending(now.saturating_add(life));
        let (circuits, direct): (Vec<_>, Vec<_>) = self.own_addresses().into_iter().partition(is_relayed);
        let hints = direct.into_iter().take(HINTS.0).chain(circuits);
        let hints = hints
            .map(|address| address.to_string())
            .filter(|text| text.len() <= 128);
        let hints = hints.take(HINTS.1).collect();
        let peer = self.swarm.local_peer_id().to_bytes();
        let ticket = match ticket.hinting(peer, hints) {
            Ok(ticket) => ticket,
            Err(why) => return drop(answer.send(Err(why.into()))),
        };
        if let Err(why) = self.tickets.lock().open_for(seconds(), &ticket, life) {
            return drop(answer.send(Err(why.into())));
        }
        self.door.invite(true);
        let end = self.now() + life * 1_000 + 1_000;
        self.finding.topics.push((ticket.topic(), end));
        self.put_soon();
        let (desk, tickets, inside) = (self.stores.desk(), self.tickets.clone(), self.inside.0.clone());
        tokio::spawn(async move {
            // The one place where it is asked whether this device can invite.
            let ready = desk
                .call(|replica| {
                    let keyring = replica.keyring();
                    let mut ready = false;
                    replica.with_members(&mut |members| ready = Inviting::is_ready(members, &keyring));
                    ready
                })
                .await;
            let told = match ready {
                Some(true) => Ok(ticket),
                Some(false) => {
                    tickets.lock().close(&ticket);
                    Err(InviteError::NotReady(PairError::NotReady))
                }
                None => Err(InviteError::Ended),
            };
            // Whoever asked may have gone.
            if let Err(Ok(ticket)) = answer.send(told) {
                tickets.lock().close(&ticket);
            }
            let _ = inside.send(Inside::Tickets);
        });
    }

    /// Hears a guest.
    pub(super) fn hear_guest(&mut self, connection: ConnectionId, peer: PeerId, stream: Stream) {
        let (Some(ours), Some(theirs)) = (key_of(self.swarm.local_peer_id()), key_of(&peer)) else {
            self.swarm.close_connection(connection);
            return;
        };
        let (desk, tickets, inside) = (self.stores.desk(), self.tickets.clone(), self.inside.0.clone());
        tokio::spawn(async move {
            let proved = || drop(inside.send(Inside::Proved(connection)));
            let came = inviting::converse(stream, ours, theirs, tickets, desk, proved).await;
            let _ = inside.send(Inside::Paired(connection, came.err()));
        });
    }

    pub(super) fn on_inside(&mut self, inside: Inside) {
        match inside {
            Inside::Paired(connection, why) => {
                if let Some(why) = why {
                    self.note(why);
                }
                self.swarm.close_connection(connection);
                self.tickets_changed();
                self.stores.members();
            }
            Inside::Proved(connection) => {
                let until = self.now() + (TICKET_SECONDS + MORE) * 1_000;
                if let Some(connection) = self.connections.get_mut(&connection)
                    && matches!(connection.place, Place::Guest)
                {
                    connection.until = connection.until.map(|_| until);
                }
            }
            Inside::Tickets => self.tickets_changed(),
            Inside::Rendezvous(rendezvous) => self.records(&rendezvous),
        }
    }

    pub(super) fn tickets_changed(&mut self) {
        let mut tickets = self.tickets.lock();
        tickets.expire(seconds());
        let is_open = !tickets.is_empty();
        drop(tickets);
        self.door.invite(is_open);
        if !is_open {
            self.finding.topics.clear();
        }
    }
}
