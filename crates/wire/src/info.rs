//! interim
use serde::Serialize;
#[derive(Clone,Debug,Serialize)]
pub struct ServerInfo { pub server_id:String, pub server_name:String, pub version:String, pub go:String, pub git_commit:String, pub host:String, pub port:u16, pub headers:bool, pub auth_required:bool, pub tls_required:bool, pub tls_verify:bool, pub tls_available:bool, pub max_payload:i64, pub jetstream:bool, pub nonce:bool, pub cluster:String, pub domain:String, pub connect_urls:Vec<String>, pub ldm:bool, pub api_level:u32, pub xkey:String, pub keelback:String }
pub struct ConnectionInfo<'a> { pub client_id:u64, pub client_ip:&'a str, pub nonce:&'a str, pub is_in_process:bool, pub account:Option<(&'a str,bool)> }
impl ServerInfo { pub fn line(&self,c:&ConnectionInfo<'_>)->Vec<u8>{ let mut v=serde_json::to_value(self).unwrap(); v["client_id"]=c.client_id.into(); v["client_ip"]=c.client_ip.into(); v["nonce"]=c.nonce.into(); format!("INFO {v} \r\n").into_bytes() } }
