//! Messages to bytes.

use coffer_store::codec::Writer;

use super::Message;
use super::fields::{put_ids, put_piece};

impl Message<'_> {
    /// Whether it brings bytes of objects, which need credit.
    pub fn is_data(&self) -> bool {
        matches!(
            self,
            Message::Statement { .. }
                | Message::Batch { .. }
                | Message::BatchPiece { .. }
                | Message::Chunk { .. }
        )
    }

    /// Whether it has a place where there are statements of membership alone.
    pub(crate) fn is_of_members(&self) -> bool {
        matches!(
            self,
            Message::Hello(_)
                | Message::Heads(_)
                | Message::WantStatements { .. }
                | Message::Statement { .. }
                | Message::Credit(_)
                | Message::Ping
                | Message::Pong
                | Message::Goodbye(_)
        )
    }

    /// Kind and fields, without the frame's length.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Message::Hello(hello) => {
                w.u8(0x81).u16(hello.versions.0).u16(hello.versions.1);
                w.raw(&hello.space.0).raw(&hello.own.0).varint(hello.features);
                w.u8(hello.policy as u8).varint(hello.credit);
            }
            Message::Heads(heads) => put_ids(w.u8(0x82), heads),
            Message::WantStatements { want, have } => {
                w.u8(0x83).u16(want.len() as u16);
                put_ids(&mut w, want);
                put_ids(&mut w, have);
            }
            Message::Statement { total, offset, data } => put_piece(w.u8(0x84), *total, *offset, data),
            Message::Clock { whole, reach } => {
                w.u8(0x85).u8(u8::from(*whole));
                for (chain, reach) in reach {
                    w.raw(&chain.0).varint(reach.last).raw(&reach.head);
                }
            }
            Message::Want(wanted) => {
                w.u8(0x86);
                for one in wanted {
                    w.raw(&one.chain.0).varint(one.after);
                    match one.resume {
                        None => w.varint(0),
                        Some(resume) => w.varint(resume.offset.into()).raw(&resume.token),
                    };
                }
            }
            Message::Stop(chains) => {
                w.u8(0x87);
                for chain in chains {
                    w.raw(&chain.0);
                }
            }
            Message::Batch { chain, first, parcel } => {
                w.u8(0x88).raw(&chain.0).varint(*first).raw(parcel);
            }
            Message::BatchPiece {
                chain,
                first,
                token,
                total,
                offset,
                data,
            } => {
                w.u8(0x94).raw(&chain.0).varint(*first).raw(token);
                put_piece(&mut w, *total, *offset, data);
            }
            Message::Credit(total) => {
                w.u8(0x89).varint(*total);
            }
            Message::WantChunks { urgent, chunks } => {
                w.u8(0x8a).u8(u8::from(*urgent));
                for (id, offset) in chunks {
                    w.raw(id).varint((*offset).into());
                }
            }
            Message::DropChunks(chunks) => put_ids(w.u8(0x8b), chunks),
            Message::Chunk {
                id,
                total,
                offset,
                data,
            } => {
                w.u8(0x8c).raw(id);
                put_piece(&mut w, *total, *offset, data);
            }
            Message::NotHere(chunks) => put_ids(w.u8(0x8d), chunks),
            Message::Here(chunks) => put_ids(w.u8(0x0e), chunks),
            Message::Ask { serial, ids } => put_ids(w.u8(0x8f).varint((*serial).into()), ids),
            Message::Held { serial, bits } => {
                w.u8(0x90).varint((*serial).into()).raw(bits);
            }
            Message::Ping => {
                w.u8(0x91);
            }
            Message::Pong => {
                w.u8(0x92);
            }
            Message::Goodbye(why) => {
                w.u8(0x93).u8(*why as u8);
            }
        }
        w.0
    }
}
